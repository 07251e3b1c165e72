package postgres

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// include is what postgresql.conf is given once.
const include = "\ninclude 'datawatch.conf'\n"

// configure writes the settings to a file that postgresql.conf includes, so that
// ALTER SYSTEM still has the last word, as on any server.
func (s *Server) configure() error {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": "",
		"wal_level":               "logical",
		"max_connections":         "200",
		"timezone":                "UTC",
	}
	maps.Copy(settings, s.options.Settings)
	var conf strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&conf, "%s = '%s'\n", name, strings.ReplaceAll(settings[name], "'", "''"))
	}
	file := filepath.Join(s.data(), "datawatch.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o644); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	if err := handOver(file, s.user); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	main := filepath.Join(s.data(), "postgresql.conf")
	text, err := os.ReadFile(main)
	if err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	if strings.Contains(string(text), include) {
		return nil
	}
	if err := os.WriteFile(main, append(text, include...), 0o600); err != nil {
		return fmt.Errorf("configure: %w", err)
	}
	return nil
}
