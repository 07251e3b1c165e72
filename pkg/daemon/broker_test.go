package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"datawatch/pkg/broker"
	"datawatch/pkg/config"
)

func quietEnv() Env { return NewEnv(slog.New(slog.DiscardHandler)) }

func TestInsistTriesUntilItSucceeds(t *testing.T) {
	env := quietEnv()
	tries := 0
	err := Insist(t.Context(), env, "broker", func() error {
		if tries++; tries < 3 {
			return errors.New("refused")
		}
		return nil
	})
	if err != nil || tries != 3 || env.Health.Overall() != NotReady {
		t.Errorf("%d tries, %v, health %s", tries, err, env.Health.Overall())
	}
}

func TestInsistGivesUpOnWhatTryingDoesntMend(t *testing.T) {
	wrong := fmt.Errorf("topic x: %w", broker.ErrPartitions)
	if err := Insist(t.Context(), quietEnv(), "broker", func() error { return wrong }); !errors.Is(err, broker.ErrPartitions) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Insist(ctx, quietEnv(), "broker", func() error { cancel(); return errors.New("refused") })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWithoutATokenThatIsSaidAndReady(t *testing.T) {
	var log strings.Builder
	env := NewEnv(slog.New(slog.NewTextHandler(&log, nil)))
	client, err := OpenTelegram(config.DefaultShared(), "tester", env)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "telegram.token is empty") || env.Health.Overall() != Ready {
		t.Errorf("health %s, log %s", env.Health.Overall(), log.String())
	}
	if f := CheckTelegram(t.Context(), config.DefaultShared(), "tester"); f.Err != nil || f.Detail == "" {
		t.Errorf("check says %+v", f)
	}
}

func TestEachChatIsAskedOnce(t *testing.T) {
	got := ChatsOf(config.Chat{}, config.Chat{ID: -5, Thread: 3}, config.Chat{ID: -5}, config.Chat{ID: 7})
	if len(got) != 2 || got[0].ID != -5 || got[1].ID != 7 {
		t.Errorf("got %v", got)
	}
}
