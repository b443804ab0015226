from exporter.commands.door import main

main()
