# mozjpeg, a libjpeg with better encoders, without its assembly.
{ buildC, fetchCrate }:
buildC {
  pname = "libjpeg";
  version = "4.1.5";
  src = fetchCrate {
    crate = "mozjpeg-sys";
    version = "2.2.3";
    sha256 = "7f0dc668bf9bf888c88e2fb1ab16a406d2c380f1d082b20d51dd540ab2aa70c1";
  };
  sourceRoot = "vendor";
  # Before anything is patched, so that the licence can be.
  postUnpack = "cp ../LICENSE LICENSE";
  prepare = ''
    cp ${./jconfig.h} jconfig.h
    cp ${./jconfigint.h} jconfigint.h
    cp ${./jversion.h} jversion.h
  '';

  library = "jpeg";
  abi = "62";
  cflags = [ "-I." ];
  links = [ "m" ];
  sources = map (f: "${f}.c") [
    "jaricom" "jcapimin" "jcapistd" "jcarith" "jccoefct" "jccolor" "jcdctmgr" "jcext" "jchuff" "jcicc"
    "jcinit" "jcmainct" "jcmarker" "jcmaster" "jcomapi" "jcparam" "jcphuff" "jcprepct" "jcsample"
    "jctrans" "jdapimin" "jdapistd" "jdarith" "jdatadst" "jdatasrc" "jdcoefct" "jdcolor" "jddctmgr"
    "jdhuff" "jdicc" "jdinput" "jdmainct" "jdmarker" "jdmaster" "jdmerge" "jdphuff" "jdpostct"
    "jdsample" "jdtrans" "jerror" "jfdctflt" "jfdctfst" "jfdctint" "jidctflt" "jidctfst" "jidctint"
    "jidctred" "jmemmgr" "jmemnobs" "jquant1" "jquant2" "jsimd_none" "jutils"
  ];
  private = [ "*.h" "jccolext.c" "jdcolext.c" "jdcol565.c" "jdmrgext.c" "jdmrg565.c" "jstdhuff.c" ];
  public = [ "jpeglib.h" "jmorecfg.h" "jconfig.h" "jerror.h" ];
  documents = [ "LICENSE" ];
}
