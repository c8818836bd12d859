# A small site made of everything below: a page from the report through a database, and its picture.
{ mkDerivation, luamodules, luasqlite, jq, imagetool, xz, report }:
mkDerivation {
  pname = "site";
  version = "1.0";
  src = ../../programs/site;
  nativeBuildInputs = [ luamodules jq imagetool xz ];
  buildPhase = ''
    jq -r '.files[] | [.name, .size, .crc32] | @tsv' ${report}/report.json >files.tsv
    imagetool info ${report}/word.png >picture.txt
    lua-with-modules page.lua ${luasqlite}/lib/lua files.tsv picture.txt >index.html
    xz -k -T1 index.html
  '';
  installPhase = "install -Dm444 -t $out index.html index.html.xz ${report}/word.png ${report}/report.txt";
}
