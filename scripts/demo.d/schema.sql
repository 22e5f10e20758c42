-- The application: people (users) fill in files (dossiers) for a public procedure, as a Rails application
-- would store them. Keys and indexes come after the data, in constraints.sql, so that loading is quick.

create table users (
    id              bigserial primary key,
    email           varchar not null,
    locale          varchar not null default 'fr',
    sign_in_count   integer not null default 0,
    last_sign_in_at timestamptz,
    created_at      timestamptz not null default now(),
    updated_at      timestamptz not null default now()
);

create table procedures (
    id         bigserial primary key,
    libelle    varchar not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table groupe_instructeurs (
    id           bigserial primary key,
    procedure_id bigint not null,
    label        varchar not null,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);

create table dossiers (
    id                    bigserial primary key,
    user_id               bigint not null,
    groupe_instructeur_id bigint not null,
    state                 varchar not null default 'brouillon',
    depose_at             timestamptz,
    processed_at          timestamptz,
    motivation            text,
    archived              boolean not null default false,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);

create table champs (
    id                    bigserial primary key,
    dossier_id            bigint not null,
    type_de_champ_id      bigint not null,
    type                  varchar not null,
    value                 text,
    value_json            jsonb,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);

create table commentaires (
    id         bigserial primary key,
    dossier_id bigint not null,
    email      varchar not null,
    body       text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- One per dossier, and no foreign key says so: only the name of the column does.
create table individuals (
    id         bigserial primary key,
    dossier_id bigint,
    nom        varchar,
    prenom     varchar,
    birthdate  date,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table active_storage_blobs (
    id           bigserial primary key,
    key          varchar not null,
    filename     varchar not null,
    content_type varchar,
    metadata     text,
    service_name varchar not null default 'files',
    byte_size    bigint not null,
    checksum     varchar,
    created_at   timestamptz not null default now()
);

-- Polymorphic: record_type says which table record_id points into. No foreign key can.
create table active_storage_attachments (
    id          bigserial primary key,
    name        varchar not null,
    record_type varchar not null,
    record_id   bigint not null,
    blob_id     bigint not null,
    created_at  timestamptz not null default now()
);

-- What the application notes of destroyed dossiers. A trap in it: deleted_at is when the user *hid* the dossier,
-- which can be days before; created_at is when it was destroyed.
create table deleted_dossiers (
    id         bigserial primary key,
    dossier_id bigint,
    reason     varchar not null,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
