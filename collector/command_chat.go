package collector

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"datawatch/collector/internal/chat"
	"datawatch/collector/internal/remote"
	"datawatch/pkg/broker"
	"datawatch/pkg/daemon"
)

// chatCommand is about chats in Telegram.
func chatCommand(load func() (Config, error)) *cobra.Command {
	cmd := &cobra.Command{Use: "chat", Short: "Chats in Telegram", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return daemon.UsageError{Err: errors.New("chat needs a command: collector chat pair")}
	}}
	cmd.AddCommand(&cobra.Command{
		Use: "pair", Args: cobra.NoArgs, Short: "Print a code that, written into a chat, is answered with the chat's lines of configuration",
		Long: `Prints a code. Written into any chat or thread that the bot is in, as /pair CODE, it is answered with the lines to put into
datawatch.yaml. It holds for ten minutes, and once. A collector has to run with the bot's token: it hears the chat.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load()
			if err != nil {
				return err
			}
			if c.Telegram.Token == "" {
				return errors.New("telegram.token is empty: @BotFather gives one; then add the bot to the chat")
			}
			if err := broker.Reach(cmd.Context(), c.Broker, remote.ClientID); err != nil {
				return err
			}
			code, err := chat.NewPairing(cmd.Context(), c.Broker)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "Add the bot to the chat and write there, within %d minutes:\n", chat.PairTime/time.Minute); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "/pair %s\n", code)
			return err
		},
	})
	return cmd
}
