// Command preprocessor turns raw records into clean events: see `preprocessor --help`.
package main

import (
	"datawatch/pkg/daemon"

	"datawatch/preprocessor"
)

func main() { daemon.Main(preprocessor.Service()) }
