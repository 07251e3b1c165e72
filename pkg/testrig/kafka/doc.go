// Package kafka runs real Apache Kafka servers for tests and for the demo: one
// node in KRaft mode on free ports of 127.0.0.1, with its data in one folder.
//
// The jars are fetched once with Maven into the cache; Java 17 or later runs them.
// A server is killed when the process that started it dies. Topics are not created
// by asking for them, and the topics that Kafka keeps for itself have few
// partitions, for a quick start.
//
// It runs on Linux and macOS. It is no way to run a Kafka that matters.
package kafka
