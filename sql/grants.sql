-- What the daemon's account may do, and no more: put your database in the place of gateway_db, your
-- account in the place of holdfast, and run it after `holdfastd --migrate`, which makes the tables.
--
--   CREATE USER 'holdfast'@'%' IDENTIFIED BY '...' REQUIRE SSL;
--
-- With these alone it takes, writes and expires events; it can make, change or drop no table and
-- read no other database. Nothing is deleted but what expires: remembered ids of hits, and lanes
-- that no daemon has any more.

GRANT SELECT ON gateway_db.holdfast_schema TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway_db.holdfast_lanes TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE ON gateway_db.holdfast_quarantine TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway_db.holdfast_rate_limit_hits TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE ON gateway_db.rate_limit_records TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE ON gateway_db.usage_records TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE ON gateway_db.usage_stats TO 'holdfast'@'%';
GRANT SELECT, INSERT, UPDATE ON gateway_db.message TO 'holdfast'@'%';

-- Not needed, and worth it where `holdfast doctor` is to say who holds locks: these show what other
-- accounts' sessions do, the second on MySQL.
--
--   GRANT PROCESS ON *.* TO 'holdfast'@'%';
--   GRANT SELECT ON performance_schema.* TO 'holdfast'@'%';

-- The account for `holdfastd --migrate`. DROP is for renaming the tables of an earlier gateway.
--
--   CREATE USER 'holdfast_migrate'@'%' IDENTIFIED BY '...' REQUIRE SSL;

GRANT SELECT, INSERT, UPDATE, CREATE, ALTER, DROP, INDEX, CREATE VIEW, SHOW VIEW
  ON gateway_db.* TO 'holdfast_migrate'@'%';
