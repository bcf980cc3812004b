#!/usr/bin/env bash
# Prints the stacks of this repository, one per Pulumi.<stack>.yaml, as a JSON list.
set -euo pipefail
shopt -s nullglob
for file in Pulumi.*.yaml; do
  stack=${file#Pulumi.}
  stack=${stack%.yaml}
  # Anything else is no stack's name, and must not reach a workflow's expressions.
  if [[ $stack =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]]; then
    printf '%s\n' "$stack"
  fi
done | jq --raw-input --null-input --compact-output '[inputs]'
