-- The day after the backup: people edit, officials decide, new files come in. None of it is in the backup.

update champs set value = value || ' (corrected on the day)', updated_at = now()
where id % 37 = 5 and value is not null;

update dossiers set state = 'en_instruction', depose_at = coalesce(depose_at, now()), updated_at = now()
where id % 53 = 11 and state in ('brouillon', 'en_construction');

update users set sign_in_count = sign_in_count + 1, last_sign_in_at = now(), updated_at = now()
where id % 15 = 0;

insert into commentaires (dossier_id, email, body)
select d.id, u.email, 'Asked on the day about dossier ' || d.id
from dossiers d join users u on u.id = d.user_id
where d.id % 71 = 3;

with fresh as (
    insert into dossiers (user_id, groupe_instructeur_id, state)
    select id, 1 + id % 300, 'brouillon' from users where id % 17 = 2
    returning id
), answers as (
    insert into champs (dossier_id, type_de_champ_id, type, value)
    select id, k, 'Champs::TextChamp', 'Answer given on the day, ' || id from fresh, generate_series(1, 2) k
)
insert into individuals (dossier_id, nom, prenom, birthdate)
select id, 'Nom ' || id, 'Prenom ' || id % 1000, date '1960-01-01' + (id % 15000)::int from fresh;
