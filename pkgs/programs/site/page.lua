-- page.lua MODULES FILES PICTURE: the page, in HTML, of the files that a report tells of.
local modules, files, picture = arg[1], arg[2], arg[3]
package.cpath = modules .. '/?.so;' .. package.cpath
local sqlite, zlib = require 'sqlite', require 'zlib'

local db = sqlite.open ':memory:'
db:rows 'create table file (name primary key, size integer, crc32)'
for line in io.lines(files) do
  local name, size, crc32 = line:match '^(.-)\t(.-)\t(.-)$'
  db:rows('insert into file values (?, ?, ?)', name, size, crc32)
end

local out = {}
local function put(text) out[#out + 1] = text end
put '<!doctype html><html lang="en"><title>floe</title><h1>floe</h1>'
put('<img src="word.png" alt="' .. io.lines(picture)() .. '"><table>')
for _, row in ipairs(db:rows 'select name, size, crc32 from file order by size desc, name') do
  put(('<tr><td>%s<td>%s<td>%s'):format(row.name, row.size, row.crc32))
end
put('</table><p>' .. db:rows('select count(*) as n, sum(size) as s from file')[1].n .. ' files')
local text = table.concat(out, '\n')
print(text .. '\n<p>' .. ('%08x'):format(zlib.crc32(text)) .. '</html>')
