package chat

import (
	"testing"

	"datawatch/pkg/testrig"
)

func TestMain(m *testing.M) { testrig.Main(m) }
