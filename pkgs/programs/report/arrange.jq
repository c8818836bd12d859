# The measurements, with sums and a line of text for every file.
{
  files: (.files | map({(.name): .}) | add),
  total: (.files | map(.size) | add),
  smaller: [.files[] | select(.packed < .size) | .name],
  lines: (
    [.files[] | "\(.name): \(.size) bytes, \(.crc32)"]
    + [.files[] | select(.name | test("info$")) | "picture: \(.picture)"]
    + ["made with zlib \(.zlib)"]
  )
}
