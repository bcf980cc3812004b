#!/usr/bin/env bash
# Logs in to Vault without a stored credential: puts this job's OIDC token, for AUDIENCE, into the configuration of
# STACK as `vault.auth.jwt.token`. The changed file stays in the job's checkout.
set -euo pipefail
curl --fail --silent --show-error --max-time 30 \
  --header "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
  "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=$AUDIENCE" |
  jq --raw-output --join-output .value |
  pulumi config set --non-interactive --stack "$STACK" --secret --path 'flotilla:vault.auth.jwt.token'
