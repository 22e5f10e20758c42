-- Two years of an application's life. Wants the psql variable `dossiers`; everything else is in proportion.
-- Values come from the row's number, so that every run of the demo tells the same story.

\set users     :dossiers / 4
\set procedures 120
\set groupes   300

insert into users (email, locale, sign_in_count, last_sign_in_at, created_at, updated_at)
select 'user' || n || '@example.org', (array['fr', 'fr', 'fr', 'en', 'de'])[1 + n % 5], n % 40,
       born + interval '90 days', born, born + interval '90 days'
from generate_series(1, :users) n,
     lateral (select now() - interval '2 years' + n * (interval '1 year' / (:users)) as born) t;

insert into procedures (libelle, created_at, updated_at)
select 'Procedure ' || n, now() - interval '3 years', now() - interval '2 years' from generate_series(1, :procedures) n;

insert into groupe_instructeurs (procedure_id, label, created_at, updated_at)
select 1 + n % :procedures, 'groupe ' || n, now() - interval '3 years', now() - interval '2 years'
from generate_series(1, :groupes) n;

insert into dossiers (user_id, groupe_instructeur_id, state, depose_at, processed_at, motivation, archived,
                      created_at, updated_at)
select 1 + (n * 7919::bigint) % (:users), 1 + n % :groupes,
       (array['brouillon', 'en_construction', 'en_instruction', 'accepte', 'refuse'])[1 + step],
       case when step > 0 then born + interval '2 days' end,
       case when step > 2 then born + interval '9 days' end,
       case when step > 2 then E'Motivation of file ' || n || E',\n\twith a second line' end,
       n % 50 = 0, born, born + step * interval '3 days'
from generate_series(1, :dossiers) n,
     lateral (select (hashint4(n::int) & 255) % 5 as step,
                     now() - interval '1 year' + n * (interval '340 days' / :dossiers) as born) t;

-- Two or three answers per dossier: text, a number, and now and then a structured one.
insert into champs (dossier_id, type_de_champ_id, type, value, value_json, created_at, updated_at)
select d.id, 10 * d.groupe_instructeur_id + k,
       (array['Champs::TextChamp', 'Champs::IntegerNumberChamp', 'Champs::AddressChamp'])[k],
       case k when 1 then 'Answer of dossier ' || d.id || ', ' || md5(d.id::text)
              when 2 then ((d.id * 31) % 1000)::text
              when 3 then null end,
       case when k = 3 then jsonb_build_object('city_code', 10000 + d.id % 80000, 'label', 'street ' || d.id % 997) end,
       d.created_at, d.updated_at
from dossiers d, generate_series(1, 2 + (d.id % 2)::int) k;

insert into commentaires (dossier_id, email, body, created_at, updated_at)
select d.id, u.email, 'Message about dossier ' || d.id || E': what is missing?\\N is not a NULL here',
       d.created_at + interval '1 day', d.created_at + interval '1 day'
from dossiers d join users u on u.id = d.user_id
where d.id % 2 = 0;

insert into individuals (dossier_id, nom, prenom, birthdate, created_at, updated_at)
select id, 'Nom ' || id, 'Prenom ' || id % 1000, date '1940-01-01' + (id % 25000)::int, created_at, updated_at
from dossiers;

-- Files: supporting documents of dossiers and of answers, and the logos of procedures, which share record ids
-- with both of them.
create temp table files as
select row_number() over () as blob_id, f.*
from (select 'Dossier' as record_type, 'justificatif' as name, id as record_id, created_at from dossiers where id % 10 < 3
      union all
      select 'Champ', 'piece_justificative', id, created_at from champs where id % 12 = 0
      union all
      select 'Procedure', 'logo', id, created_at from procedures) f;

insert into active_storage_blobs (id, key, filename, content_type, metadata, byte_size, checksum, created_at)
select blob_id, md5('blob ' || blob_id), name || '-' || record_id || '.pdf', 'application/pdf',
       '{"identified":true,"virus_scan_result":"safe"}', length(content),
       encode(decode(md5(content), 'hex'), 'base64'), created_at
from files, repeat('content of file ' || blob_id || E'\n', 1 + (blob_id % 50)::int) content;

insert into active_storage_attachments (name, record_type, record_id, blob_id, created_at)
select name, record_type, record_id, blob_id, created_at from files;

select setval('active_storage_blobs_id_seq', max(id)) from active_storage_blobs;
