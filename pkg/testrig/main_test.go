package testrig_test

import (
	"testing"

	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }
