module datawatch/deploy

go 1.26.0

require (
	datawatch/collector v0.0.0
	datawatch/pkg v0.0.0
	datawatch/preprocessor v0.0.0
	datawatch/validator v0.0.0
)

require gopkg.in/telebot.v3 v3.3.8 // indirect

replace (
	datawatch/collector => ../collector
	datawatch/pkg => ../pkg
	datawatch/preprocessor => ../preprocessor
	datawatch/validator => ../validator
)
