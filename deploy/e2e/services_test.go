package e2e_test

// The tests have the services built while they run, which go test's cache doesn't see. By these imports a change of a
// service has them run anew.
import (
	_ "datawatch/collector"
	_ "datawatch/preprocessor"
	_ "datawatch/validator"
)
