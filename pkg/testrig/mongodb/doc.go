// Package mongodb runs a server that speaks MongoDB's protocol for tests and for the demo: SecantusDB, a replica set of
// one node (named "secantus") on a free port of 127.0.0.1, with its data in one folder; or, where that is wanted and the
// machine has one, its own mongod.
//
// SecantusDB is fetched once with pip into a virtual environment in the cache; Python 3.10 to 3.13 runs it. It is run as a process
// and never linked or shipped. A server is killed when the process that started it dies.
//
// It is not MongoDB: tests that hold a promise are to hold against a MongoDB of the user's too. It runs on Linux and macOS,
// and is no way to run a database that matters.
package mongodb
