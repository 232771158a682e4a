-- SPDX-License-Identifier: GPL-2.0
PRAGMA journal_mode = DELETE;
PRAGMA synchronous = FULL;
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, weight REAL);
CREATE INDEX item_name ON item (name);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO item SELECT i, printf('name-%05d', i * 7919 % 4001), i * 1.5 FROM n;
COMMIT;
SELECT count(*), sum(weight), min(name), max(name) FROM item;
BEGIN;
UPDATE item SET weight = weight + 1 WHERE id % 3 = 0;
DELETE FROM item WHERE name LIKE '%77%';
SAVEPOINT half;
DELETE FROM item WHERE id < 2000;
SELECT count(*) FROM item;
ROLLBACK TO half;
COMMIT;
SELECT count(*), round(sum(weight), 3) FROM item;
SELECT a.id, b.id FROM item a JOIN item b ON a.name = b.name AND a.id <> b.id LIMIT 5;
BEGIN;
DELETE FROM item;
ROLLBACK;
SELECT substr(name, 1, 7) AS p, count(*), round(avg(weight), 6) FROM item GROUP BY p ORDER BY p LIMIT 10;
VACUUM;
PRAGMA integrity_check;
