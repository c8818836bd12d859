# A report made by running what was built: Lua measures, imagetool draws, jq arranges.
{ mkDerivation, luamodules, jq, imagetool, bzip2 }:
mkDerivation {
  pname = "report";
  version = "1.0";
  src = ../../programs/report;
  nativeBuildInputs = [ luamodules jq imagetool bzip2 ];
  buildPhase = ''
    imagetool draw ${imagetool}/share/imagetool/word.bdf FLOE word.png
    imagetool convert word.png word.jpg
    imagetool show word.png >word.txt
    imagetool info word.png >word.info
    bzip2 -k word.txt
    lua-with-modules measure.lua word.png word.txt word.txt.bz2 word.info >measured.json
    jq -S -f arrange.jq measured.json >report.json
    jq -r '.lines[]' report.json >report.txt
  '';
  installPhase = "install -Dm444 -t $out report.json report.txt word.png word.jpg";
}
