/** LiteLLM's tables that are brought over, as its own migrations leave them in PostgreSQL (1.106), without their indexes. */
export const litellmTables = `
create table "LiteLLM_BudgetTable" (
  budget_id text not null, max_budget double precision, soft_budget double precision,
  max_parallel_requests integer, tpm_limit bigint, rpm_limit bigint, tpd_limit bigint,
  model_max_budget jsonb, budget_duration text, budget_reset_at timestamp(3), allowed_models
  text[] default '{}', temp_budget_increase double precision, temp_budget_expiry timestamp(3),
  created_at timestamp(3) not null default current_timestamp, created_by text not null, updated_at
  timestamp(3) not null default current_timestamp, updated_by text not null, primary key
  (budget_id)
);
create table "LiteLLM_CredentialsTable" (
  credential_id text not null, credential_name text not null, display_name text, credential_values
  jsonb not null, credential_info jsonb, created_at timestamp(3) not null default
  current_timestamp, created_by text not null, updated_at timestamp(3) not null default
  current_timestamp, updated_by text not null, primary key (credential_id)
);
create table "LiteLLM_ProxyModelTable" (
  model_id text not null, model_name text not null, litellm_params jsonb not null, model_info
  jsonb, blocked boolean not null default false, created_at timestamp(3) not null default
  current_timestamp, created_by text not null, updated_at timestamp(3) not null default
  current_timestamp, updated_by text not null, primary key (model_id)
);
create table "LiteLLM_OrganizationTable" (
  organization_id text not null, organization_alias text not null, budget_id text not null,
  metadata jsonb not null default '{}', models text[], spend double precision not null default
  0.0, model_spend jsonb not null default '{}', object_permission_id text, created_at timestamp(3)
  not null default current_timestamp, created_by text not null, updated_at timestamp(3) not null
  default current_timestamp, updated_by text not null, primary key (organization_id)
);
create table "LiteLLM_ModelTable" (
  id serial not null, aliases jsonb, created_at timestamp(3) not null default current_timestamp,
  created_by text not null, updated_at timestamp(3) not null default current_timestamp, updated_by
  text not null, primary key (id)
);
create table "LiteLLM_TeamTable" (
  team_id text not null, team_alias text, organization_id text, object_permission_id text, admins
  text[], members text[], members_with_roles jsonb not null default '{}', metadata jsonb not null
  default '{}', max_budget double precision, soft_budget double precision, spend double precision
  not null default 0.0, models text[], max_parallel_requests integer, tpm_limit bigint, rpm_limit
  bigint, tpd_limit bigint, budget_duration text, budget_reset_at timestamp(3), blocked boolean
  not null default false, created_at timestamp(3) not null default current_timestamp, updated_at
  timestamp(3) not null default current_timestamp, model_spend jsonb not null default '{}',
  model_max_budget jsonb not null default '{}', router_settings jsonb default '{}',
  team_member_permissions text[] default '{}', access_group_ids text[] default '{}', policies
  text[] default '{}', default_team_member_models text[] default '{}', budget_limits jsonb,
  model_id integer, allow_team_guardrail_config boolean not null default false, primary key
  (team_id)
);
create table "LiteLLM_ProjectTable" (
  project_id text not null, project_alias text, description text, team_id text, budget_id text,
  metadata jsonb not null default '{}', models text[], spend double precision not null default
  0.0, model_spend jsonb not null default '{}', model_rpm_limit jsonb not null default '{}',
  model_tpm_limit jsonb not null default '{}', blocked boolean not null default false,
  object_permission_id text, created_at timestamp(3) not null default current_timestamp,
  created_by text not null, updated_at timestamp(3) not null default current_timestamp, updated_by
  text not null, primary key (project_id)
);
create table "LiteLLM_UserTable" (
  user_id text not null, user_alias text, team_id text, sso_user_id text, organization_id text,
  object_permission_id text, password text, password_reset_required boolean, last_breach_check_at
  timestamp(3), teams text[] default '{}', user_role text, max_budget double precision, spend
  double precision not null default 0.0, user_email text, models text[], metadata jsonb not null
  default '{}', max_parallel_requests integer, tpm_limit bigint, rpm_limit bigint, budget_duration
  text, budget_reset_at timestamp(3), allowed_cache_controls text[] default '{}', policies text[]
  default '{}', model_spend jsonb not null default '{}', model_max_budget jsonb not null default
  '{}', created_at timestamp(3) default current_timestamp, updated_at timestamp(3) default
  current_timestamp, primary key (user_id)
);
create table "LiteLLM_ObjectPermissionTable" (
  object_permission_id text not null, mcp_servers text[] default '{}', mcp_access_groups text[]
  default '{}', mcp_tool_permissions jsonb, vector_stores text[] default '{}', agents text[]
  default '{}', agent_access_groups text[] default '{}', models text[] default '{}', blocked_tools
  text[] default '{}', mcp_toolsets text[] default '{}', search_tools text[] default '{}',
  mcp_tool_search_enabled boolean, skills text[] default '{}', primary key (object_permission_id)
);
create table "LiteLLM_VerificationToken" (
  token text not null, key_name text, key_alias text, soft_budget_cooldown boolean not null
  default false, spend double precision not null default 0.0, total_spend double precision not
  null default 0.0, expires timestamp(3), models text[], aliases jsonb not null default '{}',
  config jsonb not null default '{}', router_settings jsonb default '{}', user_id text, team_id
  text, agent_id text, project_id text, permissions jsonb not null default '{}',
  max_parallel_requests integer, metadata jsonb not null default '{}', blocked boolean, tpm_limit
  bigint, rpm_limit bigint, tpd_limit bigint, max_budget double precision, budget_duration text,
  budget_reset_at timestamp(3), allowed_cache_controls text[] default '{}', allowed_routes text[]
  default '{}', key_type text, policies text[] default '{}', access_group_ids text[] default '{}',
  model_spend jsonb not null default '{}', model_max_budget jsonb not null default '{}',
  budget_fallbacks jsonb not null default '{}', budget_id text, organization_id text,
  object_permission_id text, created_at timestamp(3) default current_timestamp, created_by text,
  updated_at timestamp(3) default current_timestamp, updated_by text, settings_updated_at
  timestamp(3), last_active timestamp(3), rotation_count integer default 0, auto_rotate boolean
  default false, rotation_interval text, last_rotation_at timestamp(3), key_rotation_at
  timestamp(3), budget_limits jsonb, primary key (token)
);
create table "LiteLLM_DeprecatedVerificationToken" (
  id text not null, token text not null, active_token_id text not null, revoke_at timestamp(3) not
  null, created_at timestamp(3) not null default current_timestamp, primary key (id)
);
create table "LiteLLM_DeletedVerificationToken" (
  id text not null, token text not null, key_name text, key_alias text, soft_budget_cooldown
  boolean not null default false, spend double precision not null default 0.0, total_spend double
  precision not null default 0.0, expires timestamp(3), models text[], aliases jsonb not null
  default '{}', config jsonb not null default '{}', user_id text, team_id text, agent_id text,
  project_id text, permissions jsonb not null default '{}', max_parallel_requests integer,
  metadata jsonb not null default '{}', blocked boolean, tpm_limit bigint, rpm_limit bigint,
  tpd_limit bigint, max_budget double precision, budget_duration text, budget_reset_at
  timestamp(3), allowed_cache_controls text[] default '{}', allowed_routes text[] default '{}',
  key_type text, policies text[] default '{}', access_group_ids text[] default '{}', model_spend
  jsonb not null default '{}', model_max_budget jsonb not null default '{}', budget_fallbacks
  jsonb not null default '{}', router_settings jsonb default '{}', budget_id text, organization_id
  text, object_permission_id text, created_at timestamp(3), created_by text, updated_at
  timestamp(3), updated_by text, settings_updated_at timestamp(3), last_active timestamp(3),
  rotation_count integer default 0, auto_rotate boolean default false, rotation_interval text,
  last_rotation_at timestamp(3), key_rotation_at timestamp(3), deleted_at timestamp(3) not null
  default current_timestamp, deleted_by text, deleted_by_api_key text, litellm_changed_by text,
  primary key (id)
);
create table "LiteLLM_EndUserTable" (
  user_id text not null, alias text, spend double precision not null default 0.0,
  allowed_model_region text, default_model text, models text[] default '{}', budget_id text,
  object_permission_id text, blocked boolean not null default false, primary key (user_id)
);
create table "LiteLLM_TagTable" (
  tag_name text not null, description text, models text[], model_info jsonb, spend double
  precision not null default 0.0, budget_id text, created_at timestamp(3) not null default
  current_timestamp, created_by text, updated_at timestamp(3) not null default current_timestamp,
  primary key (tag_name)
);
create table "LiteLLM_Config" (
  param_name text not null, param_value jsonb, last_run_at timestamp(3), reload_revision bigint
  not null default 0, primary key (param_name)
);
create table "LiteLLM_SpendLogs" (
  request_id text not null, call_type text not null, api_key text not null, spend double precision
  not null default 0.0, total_tokens integer not null default 0, prompt_tokens integer not null
  default 0, completion_tokens integer not null default 0, "startTime" timestamp(3) not null,
  "endTime" timestamp(3) not null, request_duration_ms integer, "completionStartTime"
  timestamp(3), model text not null default '', model_id text default '', model_group text default
  '', custom_llm_provider text default '', api_base text default '', "user" text default '',
  metadata jsonb default '{}', cache_hit text default '', cache_key text default '', request_tags
  jsonb default '[]', team_id text, organization_id text, end_user text, requester_ip_address
  text, messages jsonb default '{}', response jsonb default '{}', session_id text, status text,
  mcp_namespaced_tool_name text, billing_agent_id text, agent_id text, proxy_server_request jsonb
  default '{}', litellm_call_id text, created_at timestamp(3) not null default current_timestamp,
  updated_at timestamp(3) not null default current_timestamp, primary key (request_id)
);
create table "LiteLLM_BudgetWindowSpend" (
  entity_type text not null, entity_id text not null, window_duration text not null, window_start
  timestamp(3) not null, spend double precision not null default 0.0, created_at timestamp(3) not
  null default current_timestamp, updated_at timestamp(3) not null default current_timestamp,
  primary key (entity_type, entity_id, window_duration)
);
create table "LiteLLM_TeamMembership" (
  user_id text not null, team_id text not null, spend double precision not null default 0.0,
  total_spend double precision not null default 0.0, budget_id text, primary key (user_id,
  team_id)
);
create table "LiteLLM_OrganizationMembership" (
  user_id text not null, organization_id text not null, user_role text, spend double precision
  default 0.0, budget_id text, created_at timestamp(3) default current_timestamp, updated_at
  timestamp(3) default current_timestamp, primary key (user_id, organization_id)
);
create table "LiteLLM_AccessGroupTable" (
  access_group_id text not null, access_group_name text not null, description text,
  access_model_names text[] default '{}', access_mcp_server_ids text[] default '{}',
  access_agent_ids text[] default '{}', assigned_team_ids text[] default '{}', assigned_key_ids
  text[] default '{}', created_at timestamp(3) not null default current_timestamp, created_by
  text, updated_at timestamp(3) not null default current_timestamp, updated_by text, primary key
  (access_group_id)
);
`
