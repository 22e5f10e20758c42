-- Dossiers that their owners delete themselves that day: 200, spread over the id range. They must stay deleted.
select id from dossiers
where hashint8(id) & 1023 >= 500 and id % (:dossiers / 500) = 7 order by id limit 200;
