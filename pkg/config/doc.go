// Package config reads datawatch.yaml: strict YAML over defaults, for all three services.
//
// An unknown key, a wrong value or a missing one is a problem with its path, its line and what would be right; all
// problems of a file are told at once. ${NAME} and ${NAME:-default} are taken from the environment inside scalar
// values, after the YAML was parsed, so what a variable holds can't change the file's structure. Every field of type
// Secret may be given as <key>_file instead: the file's content, without the line break at its end.
//
// The package knows the sections that services share. What only one service reads is declared by that service.
package config
