// Command standalone runs datawatch on one machine without Kafka: the embedded broker and the three services, with the
// user's own datawatch.yaml.
package main

import (
	"datawatch/pkg/broker/embedded"
	"datawatch/pkg/daemon"
)

func main() {
	embedded.MainIfChild()
	daemon.Main(service())
}
