-- Somebody writes a message about a file that is there (locked against removal while the message is written).
\set dossier random(1, :dossiers)
insert into commentaires (dossier_id, email, body, created_at, updated_at)
select d.id, u.email, 'Written during the incident', clock_timestamp(), clock_timestamp()
from dossiers d join users u on u.id = d.user_id
where d.id = :dossier for key share of d;
