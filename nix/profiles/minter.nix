# The host that holds the GitHub App's key and keeps runners' registration tokens valid. The service is not there yet:
# the tag places it, and a system that carries the tag says so when it is built.
{
  warnings = [
    "flotilla: the tag 'minter' has no service yet; registration tokens of ephemeral GitHub runners are valid for an hour after each `pulumi up`, and nothing renews them in between"
  ];
}
