// Command fetch fills the cache with the servers that tests use, so that no test
// waits for a download: Apache Kafka, and each PostgreSQL version that is named.
//
//	fetch [-kafka VERSION] [POSTGRES_VERSION…]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"datawatch/pkg/testrig/kafka"
	"datawatch/pkg/testrig/postgres"
)

func main() {
	postgres.MainIfChild()
	os.Exit(run())
}

func run() int {
	kafkaVersion := flag.String("kafka", kafka.DefaultVersion, "version of Apache Kafka; none for no Kafka")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: fetch [-kafka VERSION] [POSTGRES_VERSION…]\n\n"+
			"PostgreSQL versions: %s, or a build such as %s.\n\n",
			strings.Join(postgres.MajorVersions(), ", "), postgres.DefaultVersion)
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	code := 0
	report := func(what, dir string, err error) {
		if err != nil {
			code = 1
			fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
			return
		}
		fmt.Printf("%s: %s\n", what, dir)
	}
	if *kafkaVersion != "none" {
		dir, err := kafka.Fetch(ctx, *kafkaVersion)
		report("Apache Kafka "+*kafkaVersion, dir, err)
	}
	for _, version := range flag.Args() {
		dir, err := postgres.Fetch(ctx, version)
		report("PostgreSQL "+version, dir, err)
	}
	return code
}
