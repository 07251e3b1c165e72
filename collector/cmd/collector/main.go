// Collector captures databases and Kafka clusters into datawatch. Its configuration is datawatch.yaml.
package main

import (
	"datawatch/collector"
	"datawatch/pkg/daemon"
)

func main() { daemon.Main(collector.Service()) }
