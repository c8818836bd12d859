# The builder of every package: a fixed environment, then the phases in order.
# A phase is a function here; a derivation's attribute of the same name, if set, is run instead.

umask 022
set -uo pipefail
export PATH=/usr/bin:/bin LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=1 PERL_HASH_SEED=0
for dir in ${binDirs:-}; do PATH=$dir:$PATH; done

# The same object bytes wherever and whenever it is built: no build directory in them, no ids, no
# dates. One level of optimisation: twice as fast to compile as two, and what is studied here is the
# same. Libraries are found at run time by RPATH, that is by the store paths of the inputs.
export CC=gcc CXX=g++ AR=ar RANLIB=ranlib
export CFLAGS="${optimize:--O1} -fPIC -w -ffile-prefix-map=$NIX_BUILD_TOP=." CPPFLAGS="" LDFLAGS="-Wl,--build-id=none -Wl,--enable-new-dtags"
CXXFLAGS=$CFLAGS; export CXXFLAGS
for dir in ${includeDirs:-}; do CPPFLAGS+=" -I$dir"; done
for dir in ${libDirs:-}; do LDFLAGS+=" -L$dir -Wl,-rpath,$dir"; done
CMAKE_PREFIX_PATH=$(printf '%s;' ${prefixes:-}); export CMAKE_PREFIX_PATH
PKG_CONFIG_LIBDIR=$(printf '%s/lib/pkgconfig:' ${prefixes:-}); export PKG_CONFIG_LIBDIR

jobs=${NIX_BUILD_CORES:-1}
[ "$jobs" -gt 0 ] || jobs=$(nproc)

unpackPhase() {
  [ -n "${src:-}" ] || return 0
  mkdir source
  if [ -d "$src" ]; then
    cp -r "$src/." source/
  else
    tar -xf "$src" -C source --strip-components=1 --no-same-owner --no-same-permissions
  fi
  chmod -R u+w source
  cd "source/${sourceRoot:-.}"
}

patchPhase() {
  local p
  for p in ${patches:-}; do
    echo "patching with ${p##*/}"
    patch -p1 --no-backup-if-mismatch <"$p"
  done
}

# One time for every source file, so that no Makefile thinks a patched one newer than what was made of it.
settle() { find . -exec touch -h -d @1 {} +; }

configurePhase() {
  if [ -n "${cmakeFlags:-}" ]; then
    mkdir -p "$NIX_BUILD_TOP/cmake"
    cmake -S . -B "$NIX_BUILD_TOP/cmake" -G Ninja \
      -DCMAKE_INSTALL_PREFIX="$out" -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_INSTALL_RPATH="$out/lib" \
      -DCMAKE_INSTALL_RPATH_USE_LINK_PATH=ON -DCMAKE_BUILD_TYPE=None -DBUILD_SHARED_LIBS=ON \
      -DCMAKE_AR=/usr/bin/ar -DCMAKE_RANLIB=/usr/bin/ranlib -DCMAKE_C_FLAGS="$CFLAGS $CPPFLAGS" \
      -DCMAKE_EXPORT_NO_PACKAGE_REGISTRY=ON $cmakeFlags
    cd "$NIX_BUILD_TOP/cmake"
  elif [ -f ./configure ]; then
    bash ./configure --prefix="$out" --disable-static --disable-dependency-tracking ${configureFlags:-}
  fi
}

buildPhase() {
  if [ -f build.ninja ]; then
    ninja -j"$jobs"
  elif [ -f Makefile ]; then
    make -j"$jobs" ${makeFlags:-}
  fi
}

checkPhase() { :; }

installPhase() {
  if [ -f build.ninja ]; then
    ninja install >/dev/null
  else
    make install ${makeFlags:-}
  fi
}

# What only documents or repeats the build goes; what remains is divided among the outputs.
fixupPhase() {
  local output
  for output in $outputs; do
    [ -d "${!output}" ] || continue
    find "${!output}" -name '*.la' -delete
    find "${!output}" -depth -type d -empty -delete
  done
  if [ -n "${dev:-}" ]; then
    mkdir -p "$dev"
    divide include "$dev"
    divide lib/pkgconfig "$dev"
    divide lib/cmake "$dev"
  fi
  if [ -n "${doc:-}" ]; then
    mkdir -p "$doc"
    divide share/doc "$doc"
    divide share/man "$doc"
  fi
}

# divide PATH OUTPUT: moves a directory of $out to another output.
divide() {
  [ -e "$out/$1" ] || return 0
  mkdir -p "$2/$(dirname "$1")"
  mv "$out/$1" "$2/$1"
  rmdir -p --ignore-fail-on-non-empty "$out/$(dirname "$1")" 2>/dev/null || true
}

# documents FILE...: installs a licence or a text below share/doc, a manual page below share/man.
documents() {
  local f section
  for f in "$@"; do
    case $f in
      *.[1-9]) section=${f##*.}; install -Dm444 -t "$out/share/man/man$section" "$f" ;;
      *) install -Dm444 -t "$out/share/doc/${pname:-$name}" "$f" ;;
    esac
  done
}

# phase NAME: says what comes, as Nix's builders do, and does it.
phase() {
  echo "@nix { \"action\": \"setPhase\", \"phase\": \"$1\" }" >&"${NIX_LOG_FD:-2}"
  if [ -n "${!1:-}" ]; then eval "${!1}"; else "$1"; fi
}

[ -z "${ccFunctions:-}" ] || . "$ccFunctions"
cd "$NIX_BUILD_TOP"
phase unpackPhase
[ -z "${postUnpack:-}" ] || eval "$postUnpack"
phase patchPhase
[ -z "${prepare:-}" ] || eval "$prepare"
[ -z "${src:-}" ] || settle
phase configurePhase
phase buildPhase
[ -z "${doCheck:-}" ] || phase checkPhase
phase installPhase
phase fixupPhase
