/** Done, or the answer is good. */
export const exitOk = 0
/** The command worked and the answer is no: secrets were found, the chain does not verify, the run failed. */
export const exitNegative = 1
/** The command was used wrongly or could not do its work. */
export const exitError = 2
