/* A picture of grey bytes, row by row, and what can be done with one. */
#ifndef IMAGE_H
#define IMAGE_H
#include <stddef.h>

struct image {
  unsigned width, height;
  unsigned char *pixels;
};

struct image image_new(unsigned width, unsigned height);
unsigned long image_sum(const struct image *image);
void fail(const char *format, ...);

/* draw.c */
struct image draw_word(const char *font, const char *word);

/* files.c */
void png_put(const struct image *image, const char *path);
struct image png_get(const char *path);
size_t jpeg_put(const struct image *image, const char *path);
struct image jpeg_get(const char *path);
#endif
