-- What must hold of the module.
local db = require('sqlite').open ':memory:'
db:rows 'create table t (k, v)'
db:rows('insert into t values (?, ?), (?, ?)', 'b', 2, 'a', 1)
local rows = db:rows 'select k, v from t order by k'
assert(#rows == 2 and rows[1].k == 'a' and rows[2].v == '2')
local text = string.rep('floe ', 100)
assert(db:rows('select inflate(deflate(?1), length(?1)) as same', text)[1].same == text)
assert(not pcall(db.rows, db, 'select from nowhere'))
db:close()
