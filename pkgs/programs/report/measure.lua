-- Measures the files named by the arguments and writes JSON.
local zlib, pcre2, json = require 'zlib', require 'pcre2', require 'json'

local files = {}
for _, path in ipairs(arg) do
  local f = assert(io.open(path, 'rb'))
  local bytes = f:read 'a'
  f:close()
  files[#files + 1] = {
    name = path,
    kind = pcre2.match('\\.([^.]+)$', path)[1],
    size = #bytes,
    packed = #zlib.compress(bytes),
    crc32 = string.format('%08x', zlib.crc32(bytes)),
    picture = pcre2.match('^\\d+x\\d+ crc32 [0-9a-f]+$', (bytes:gsub('\n$', ''))) and bytes:gsub('\n$', '') or nil,
  }
end
print(json.encode { files = files, zlib = zlib.version() })
