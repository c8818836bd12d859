# Draws a word, writes and reads it as PNG and JPEG, and tells what it saw.
{ buildC, zlib, libpng, libjpeg, freetype }:
buildC {
  pname = "imagetool";
  version = "1.0";
  src = ../../programs/imagetool;
  buildInputs = [ freetype libpng libjpeg zlib ];
  links = [ "freetype" "png16" "jpeg" "z" ];
  cflags = [ "-std=gnu11" ];
  programs.imagetool = [ "main.c" "draw.c" "files.c" ];
  private = [ "*.h" ];
  data = [ "word.bdf" ];
  doCheck = true;
  postInstall = "install -Dm444 word.bdf $out/share/imagetool/word.bdf";
  checkPhase = ''
    [ "$($out/bin/imagetool check word.bdf)" = "drawn, written and read: the same picture" ]
  '';
}
