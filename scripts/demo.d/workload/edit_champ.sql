-- Somebody corrects an answer of a file, if the file is there. The dossier first, then what belongs to it:
-- the order in which this application always locks.
\set dossier random(1, :dossiers)
\set stamp random(1, 1000000)
begin;
update dossiers set updated_at = clock_timestamp() where id = :dossier;
update champs set value = 'Answer ' || :stamp, updated_at = clock_timestamp()
where id = (select min(id) from champs where dossier_id = :dossier);
update individuals set updated_at = clock_timestamp() where dossier_id = :dossier;
commit;
