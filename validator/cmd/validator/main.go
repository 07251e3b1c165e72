// Command validator judges clean events and tells people what is wrong.
package main

import (
	"datawatch/pkg/daemon"
	"datawatch/validator"
)

func main() { daemon.Main(validator.Service()) }
