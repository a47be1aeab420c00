"""python -m messaging_service.cli"""

from messaging_service.cli import main

main(prog_name="messaging-service")
