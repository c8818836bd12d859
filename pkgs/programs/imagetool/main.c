/* imagetool: see usage(). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include "image.h"

void fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fputs("imagetool: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(1);
}

struct image image_new(unsigned width, unsigned height) {
  struct image image = {width, height, calloc(width ? width : 1, height ? height : 1)};
  if (!image.pixels) fail("no memory for a picture of %u by %u", width, height);
  return image;
}

unsigned long image_sum(const struct image *image) {
  return crc32(crc32(0, NULL, 0), image->pixels, image->width * image->height);
}

static int ends_with(const char *text, const char *end) {
  size_t n = strlen(text), m = strlen(end);
  return n >= m && strcmp(text + n - m, end) == 0;
}

static struct image get(const char *path) {
  return ends_with(path, ".jpg") ? jpeg_get(path) : png_get(path);
}

static void put(const struct image *image, const char *path) {
  if (ends_with(path, ".jpg")) jpeg_put(image, path);
  else png_put(image, path);
}

static void info(const char *path) {
  struct image image = get(path);
  printf("%ux%u crc32 %08lx\n", image.width, image.height, image_sum(&image));
}

static void show(const char *path) {
  struct image image = get(path);
  for (unsigned y = 0; y < image.height; y++) {
    for (unsigned x = 0; x < image.width; x++)
      putchar(" .:#"[image.pixels[y * image.width + x] >> 6]);
    putchar('\n');
  }
}

static void versions(void) {
  FT_Library library;
  FT_Int major, minor, patch;
  if (FT_Init_FreeType(&library)) fail("FreeType does not start");
  FT_Library_Version(library, &major, &minor, &patch);
  printf("zlib %s\nlibpng %s\nfreetype %d.%d.%d\n", zlibVersion(), png_get_libpng_ver(NULL), major, minor, patch);
  FT_Done_FreeType(library);
}

/* Draw, write as PNG, read again: nothing may be lost. As JPEG: the size may not change. */
static void check(const char *font) {
  struct image drawn = draw_word(font, "FLOE");
  png_put(&drawn, "check.png");
  jpeg_put(&drawn, "check.jpg");
  struct image png = png_get("check.png"), jpeg = jpeg_get("check.jpg");
  if (image_sum(&png) != image_sum(&drawn)) fail("the PNG file holds another picture");
  if (jpeg.width != drawn.width || jpeg.height != drawn.height) fail("the JPEG file has another size");
  remove("check.png");
  remove("check.jpg");
  puts("drawn, written and read: the same picture");
}

static void usage(void) {
  fputs("usage: imagetool draw FONT WORD FILE   draw a word (FILE ends in .png or .jpg)\n"
        "       imagetool convert FROM TO       between PNG and JPEG, in grey\n"
        "       imagetool info FILE             size and checksum of the pixels\n"
        "       imagetool show FILE             the picture in letters\n"
        "       imagetool check FONT            draw, write, read, compare\n"
        "       imagetool versions              of the libraries in use\n", stderr);
  exit(2);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  if (!strcmp(verb, "draw") && argc == 5) {
    struct image image = draw_word(argv[2], argv[3]);
    put(&image, argv[4]);
  } else if (!strcmp(verb, "convert") && argc == 4) {
    struct image image = get(argv[2]);
    put(&image, argv[3]);
  } else if (!strcmp(verb, "info") && argc == 3) info(argv[2]);
  else if (!strcmp(verb, "show") && argc == 3) show(argv[2]);
  else if (!strcmp(verb, "check") && argc == 3) check(argv[2]);
  else if (!strcmp(verb, "versions") && argc == 2) versions();
  else usage();
  return 0;
}
