// Package daemon is what every datawatch program is made of besides its work: command line, configuration file,
// logging, signals, health and metrics over HTTP, and a bounded, ordered shutdown.
//
// A service gives Main its configuration type and its Run. Run gets an Env and returns when its context ends; it touches
// no signal, flag, default registry or exit code. The first SIGTERM or SIGINT ends the context and leaves StopTimeout
// for draining; a second one exits at once.
package daemon
