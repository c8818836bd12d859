-- Tables as JSON, keys in order, so that the same table always gives the same text.
local json = {}

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return string.format('\\u%04x', c:byte()) end) .. '"'
end

function json.encode(value)
  if type(value) == 'string' then return quoted(value) end
  if type(value) ~= 'table' then return tostring(value) end
  local parts = {}
  if #value > 0 then
    for i, v in ipairs(value) do parts[i] = json.encode(v) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  local keys = {}
  for k in pairs(value) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do parts[i] = quoted(k) .. ':' .. json.encode(value[k]) end
  return '{' .. table.concat(parts, ',') .. '}'
end

return json
