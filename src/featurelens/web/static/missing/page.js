// An address at which there is nothing: the page says all by itself, only the bar above it is alive.
import { startShell } from "../lib/shell.js";

startShell();
