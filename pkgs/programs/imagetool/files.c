/* Pictures in files: PNG by libpng, JPEG by libjpeg. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "image.h"

static FILE *file(const char *path, const char *mode) {
  FILE *f = fopen(path, mode);
  if (!f) fail("%s: cannot be opened", path);
  return f;
}

void png_put(const struct image *image, const char *path) {
  png_image png = {.version = PNG_IMAGE_VERSION, .width = image->width, .height = image->height,
                   .format = PNG_FORMAT_GRAY};
  if (!png_image_write_to_file(&png, path, 0, image->pixels, 0, NULL)) fail("%s: %s", path, png.message);
}

struct image png_get(const char *path) {
  png_image png = {.version = PNG_IMAGE_VERSION};
  if (!png_image_begin_read_from_file(&png, path)) fail("%s: %s", path, png.message);
  png.format = PNG_FORMAT_GRAY;
  struct image image = image_new(png.width, png.height);
  if (!png_image_finish_read(&png, NULL, image.pixels, 0, NULL)) fail("%s: %s", path, png.message);
  return image;
}

size_t jpeg_put(const struct image *image, const char *path) {
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  FILE *f = file(path, "wb");
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, f);
  jpeg.image_width = image->width;
  jpeg.image_height = image->height;
  jpeg.input_components = 1;
  jpeg.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 90, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = image->pixels + jpeg.next_scanline * image->width;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  size_t size = ftell(f);
  fclose(f);
  return size;
}

struct image jpeg_get(const char *path) {
  struct jpeg_decompress_struct jpeg;
  struct jpeg_error_mgr errors;
  FILE *f = file(path, "rb");
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_stdio_src(&jpeg, f);
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_GRAYSCALE;
  jpeg_start_decompress(&jpeg);
  struct image image = image_new(jpeg.output_width, jpeg.output_height);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = image.pixels + jpeg.output_scanline * image.width;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  fclose(f);
  return image;
}
