# Compiling and linking without a build system, for packages that are some C files and a list of flags.
# Both grains call these functions, so they make the same bytes.

# unit FILE OBJECT: one translation unit, compiled in the root of its source tree.
unit() {
  mkdir -p "$(dirname "$2")"
  $CC $CFLAGS $CPPFLAGS ${cflags:-} -c "$1" -o "$2"
}

# units FILE...: many, side by side; objects go below $NIX_BUILD_TOP/obj under their sources' names.
units() {
  export cflags NIX_BUILD_TOP
  export -f unit
  printf '%s\n' "$@" |
    xargs -P "$jobs" -I{} bash -ec 'unit "$1" "$NIX_BUILD_TOP/obj/$1.o"' unit {}
}

# objects FILE...: the objects of these sources, in order.
objects() { printf " $NIX_BUILD_TOP/obj/%s.o" "$@"; }

# shared NAME VERSION ABI OBJECT...: lib/libNAME.so and the links to it.
shared() {
  local name=$1 version=$2 abi=$3
  shift 3
  mkdir -p "$out/lib"
  $CC -shared -Wl,-soname,"lib$name.so.$abi" -Wl,-z,defs -o "$out/lib/lib$name.so.$version" "$@" $LDFLAGS ${links:-}
  ln -sf "lib$name.so.$version" "$out/lib/lib$name.so.$abi"
  ln -sf "lib$name.so.$version" "$out/lib/lib$name.so"
}

# archive NAME OBJECT...: lib/libNAME.a.
archive() {
  local name=$1
  shift
  mkdir -p "$out/lib"
  $AR rcDs "$out/lib/lib$name.a" "$@"
}

# program NAME OBJECT...: bin/NAME, linked with the package's own library if it has one.
program() {
  local name=$1 own=()
  shift
  [ -z "${library:-}" ] || own=(-L"$out/lib" -l"$library" -Wl,-rpath,"$out/lib")
  mkdir -p "$out/bin"
  $CC -o "$out/bin/$name" "$@" "${own[@]}" $LDFLAGS ${links:-} ${programLinks:-}
}

# headers FILE[:NAME] | DIRECTORY...: what users of the library include.
headers() {
  local h
  mkdir -p "$out/include"
  for h in "$@"; do
    if [ -d "$h" ]; then
      cp -r "$h/." "$out/include/"
    else
      install -Dm444 "${h%%:*}" "$out/include/$(named "$h")"
    fi
  done
}

# What a header given as FILE[:NAME] is installed as.
named() {
  case $1 in
    *:*) echo "${1#*:}" ;;
    *) basename "$1" ;;
  esac
}
