package feed

import (
	"testing"

	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.MainLeavingNothing(m) }
