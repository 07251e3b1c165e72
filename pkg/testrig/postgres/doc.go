// Package postgres runs real PostgreSQL servers for tests and for the demo: on a
// free port of 127.0.0.1, with a random password, with their data in one folder.
//
// Binaries are those of the machine (the PATH, Debian's and Homebrew's places) or,
// where they are missing or of another version, builds fetched once into the cache,
// with Maven or without. As root, the server runs as the user postgres or nobody, since
// PostgreSQL refuses root. It is stopped when the process that started it dies.
//
// It runs on Linux and macOS. It is no way to run a database that matters:
// nothing is backed up, and settings favour a quick start.
package postgres
