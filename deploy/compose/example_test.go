package compose_test

import (
	"path/filepath"
	"testing"

	"datawatch/collector"
	"datawatch/pkg/config"
	"datawatch/preprocessor"
	"datawatch/validator"
)

// The example file is the documentation of the settings, so each service must be able to read it, and the compose file's.
func TestExampleConfigurationsAreRead(t *testing.T) {
	t.Setenv("SHOP_DB_DSN", "postgres://shop@postgres/shop")
	t.Setenv("SHOP_KAFKA", "kafka-shop:9092")
	t.Setenv("SHOP_MONGO_URI", "mongodb://mongo/?replicaSet=rs0")
	for _, path := range []string{"deploy/datawatch.example.yaml", "deploy/compose/datawatch.yaml"} {
		c, p, v := collector.DefaultConfig(), preprocessor.DefaultConfig(), validator.DefaultConfig()
		for _, target := range []any{&c, &p, &v} {
			if err := config.Load(filepath.Join(root, path), target); err != nil {
				t.Errorf("%T: %v", target, err)
			}
		}
	}
}
