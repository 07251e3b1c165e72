// Package model writes to PostgreSQL whatever an application might, at random, and replays what was captured of it, so that
// a test can hold the one against the other: each change once, in order, and in the end every table's exact contents.
package model
