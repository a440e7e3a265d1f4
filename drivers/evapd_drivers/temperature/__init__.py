"""Temperature controllers: Lake Shore 335 and 336, Cryo-con, SRS CTC100 and CryoVac TIC 500."""
