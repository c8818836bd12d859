-- What must hold of the modules.
local zlib, pcre2, json = require 'zlib', require 'pcre2', require 'json'

local text = string.rep('ice floe ', 1000)
local packed = zlib.compress(text)
assert(#packed < 100 and zlib.uncompress(packed) == text)
assert(zlib.crc32('123456789') == 0xcbf43926)
assert(pcre2.match('(\\w+)-(\\d+)', 'see zlib-132')[2] == '132')
assert(pcre2.match('x', 'y') == nil)
assert(pcre2.replace('o', 'floe', '0') == 'fl0e')
assert(json.encode { b = { 1, 2 }, a = 'x"' } == '{"a":"x\\u0022","b":[1,2]}')
