/* Words drawn with FreeType. */
#include <string.h>

#include <ft2build.h>
#include FT_FREETYPE_H

#include "image.h"

/* A monochrome or grey glyph, set down with its left upper corner at x, y. */
static void stamp(struct image *image, const FT_Bitmap *glyph, unsigned x, unsigned y) {
  for (unsigned row = 0; row < glyph->rows; row++)
    for (unsigned column = 0; column < glyph->width; column++) {
      const unsigned char *line = glyph->buffer + row * glyph->pitch;
      unsigned char value = glyph->pixel_mode == FT_PIXEL_MODE_MONO
                                ? (line[column / 8] >> (7 - column % 8) & 1) * 255
                                : line[column];
      if (x + column < image->width && y + row < image->height)
        image->pixels[(y + row) * image->width + x + column] = value;
    }
}

struct image draw_word(const char *font, const char *word) {
  FT_Library library;
  FT_Face face;
  unsigned x = 0;
  if (FT_Init_FreeType(&library)) fail("FreeType does not start");
  if (FT_New_Face(library, font, 0, &face)) fail("%s: no font that FreeType reads", font);
  if (face->num_fixed_sizes < 1 || FT_Select_Size(face, 0)) fail("%s: no fixed size", font);
  unsigned height = face->available_sizes[0].height;
  struct image image = image_new(height * (strlen(word) + 1), height + 2);
  for (const char *c = word; *c; c++) {
    if (FT_Load_Char(face, (unsigned char)*c, FT_LOAD_RENDER | FT_LOAD_MONOCHROME))
      fail("%s: no glyph for '%c'", font, *c);
    FT_GlyphSlot glyph = face->glyph;
    stamp(&image, &glyph->bitmap, x + glyph->bitmap_left, 1 + height - glyph->bitmap_top);
    x += glyph->advance.x >> 6;
  }
  FT_Done_Face(face);
  FT_Done_FreeType(library);
  return image;
}
