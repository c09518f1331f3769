"""Every option of a configuration has a test of its effect: a new one without a test fails here.

A test is named by its file below ``tests`` and its function; it shows what the option changes, not
that it is accepted.
"""

import ast
from pathlib import Path

import pytest

from hvae_core.cli.plugins import option_rows
from hvae_core.config import Config
from hvae_core.plugins import manager

TESTS = Path(__file__).resolve().parents[1]

BATCHES = "unit/core/data/test_batches.py"
REPORT = "unit/core/report/test_report.py"
MODEL = "unit/core/model/test_model_options.py"
LEVELS = "unit/core/model/test_levels.py"
STEP = "unit/core/training/test_step.py"
PARTIAL = "unit/core/training/test_partial_posterior.py"
FREEZING = "unit/core/training/test_freezing.py"
OPTIMIZER = "unit/core/training/test_optimizer.py"
SCHEDULES = "unit/core/training/test_schedules.py"
FEEDING = "unit/core/training/test_feeding.py"
LOOP = "unit/core/training/test_loop.py"
RUN = "unit/core/training/test_run.py"
FLOWS = "unit/plugins/flows/test_flow_options.py"
DAVI = "unit/plugins/attention/test_davi.py"
REGULARIZED = "unit/core/training/test_regularized_step.py"
REGULARIZERS = "unit/plugins/regularizers"
SETS = "unit/plugins/datasets"
OPTIMIZERS = "unit/plugins/optimizers/test_keras_optimizers.py"
CURVES = "unit/plugins/schedules/test_curves.py"
TRACKED = "unit/plugins/trackers/test_tracked_runs.py"
CONDITIONED = "unit/core/model/test_conditioning.py"
EMBEDDED = "unit/plugins/conditions/test_embeddings.py"
PRIOR = "unit/plugins/priors/test_diffusion_vampprior.py"
KINDS = "cli/test_third_party_kinds.py"
MEASURED = "unit/plugins/measurements/test_what_is_measured.py"
DENSITIES = "unit/plugins/likelihoods/test_densities.py"
#: likelihoods with the options of a scale, all in one class
LOCATION_SCALE = ("gaussian", "laplace", "student-t", "discretized-gaussian")

#: tests, and the options whose effect they show
TESTED = {
    f"{CONDITIONED}::test_an_untrained_condition_changes_nothing": (
        "model.condition", "model.conditioning.entry",
    ),
    f"{CONDITIONED}::test_with_an_unconditional_prior_the_latents_know_nothing_of_the_condition": (
        "model.conditioning.prior",
    ),
    f"{CONDITIONED}::test_an_encoder_may_see_further_channels": ("model.input_channels",),
    "unit/core/model/test_top_prior.py::test_its_variables_are_the_first_layer": ("model.prior",),
    f"{PRIOR}::test_sizes_of_context_and_denoiser_are_as_asked_for": tuple(
        f"prior.diffusion-vampprior.{option}"
        for option in ("size", "steps", "width", "blocks", "log_snr_max", "log_snr_min")
    ),
    f"{PRIOR}::test_the_denoiser_gives_the_noise_or_what_a_gaussian_guess_leaves": (
        "prior.diffusion-vampprior.prediction",
    ),
    f"{EMBEDDED}::test_a_class_is_a_row_of_the_table_and_the_null_class_the_last": (
        "condition.label.classes", "condition.label.width", "condition.label.names",
        "condition.label.dropout",
    ),
    f"{EMBEDDED}::test_numbers_go_through_the_mlp_and_unknown_ones_are_no_numbers": (
        "condition.vector.size", "condition.vector.width", "condition.vector.hidden",
        "condition.vector.mean", "condition.vector.scale", "condition.vector.names",
        "condition.vector.dropout", "condition.vector.typical",
    ),
    "unit/core/config/test_loading.py::test_one_sentence_names_the_key_and_what_was_expected": (
        "format",
    ),
    f"{REPORT}::test_a_run_under_way_has_its_curves_and_all_that_is_known_of_it": ("summary",),
    "unit/core/test_other_sizes.py::test_a_scale_keeps_its_kernels": (
        "model.trained_resolutions",
    ),
    f"{MODEL}::test_the_readout_gives_the_likelihood_its_parameters": (
        "likelihood", "likelihood.logistic-mixture.mixtures",
    ),
    f"{REGULARIZED}::test_the_loss_is_both_bounds_and_the_weighted_term_per_image": (
        "regularizer", "regularizer.cr-vae.weight",
    ),
    f"{REGULARIZED}::test_an_image_and_its_copy_share_their_noise_pairwise": (
        "regularizer.cr-vae.shared_noise",
    ),
    f"{REGULARIZERS}/test_cr_vae.py::test_exact_is_the_closed_form_on_a_two_layer_toy": (
        "regularizer.cr-vae.mode",
    ),
    f"{REGULARIZERS}/test_augmentation.py::test_what_is_set_wins": (
        "regularizer.cr-vae.augmentation", "regularizer.cr-vae.flip",
    ),
    f"{REGULARIZERS}/test_augmentation.py::test_ranges_are_kept_and_used": (
        "regularizer.cr-vae.rotation", "regularizer.cr-vae.shift", "regularizer.cr-vae.scale",
    ),
    f"{REGULARIZERS}/test_augmentation.py::test_colours": ("regularizer.cr-vae.colour",),
    f"{REGULARIZERS}/test_augmentation.py::test_the_original_s_augmentation_can_be_said": (
        "regularizer.cr-vae.vertical_flip", "regularizer.cr-vae.brightness",
        "regularizer.cr-vae.contrast", "regularizer.cr-vae.saturation", "regularizer.cr-vae.hue",
    ),
    f"{FLOWS}::test_conv_sylvester_s_networks_are_bounded_as_asked_for": (
        "flow.conv-sylvester.network_norm", "flow.conv-sylvester.bound_heads",
    ),
    "unit/plugins/flows/test_conv_sylvester.py::test_a_context_acts_where_it_is": (
        "flow.conv-sylvester.orient_context",
    ),
    "unit/plugins/importers/test_zea.py::test_a_version_is_chosen_or_named": (
        "import.zea.version",
    ),
    f"{FLOWS}::test_iaf_s_numbers_depend_on_those_before_alone_and_its_heads_scale_and_shift": (
        "flow.iaf.hidden", "flow.iaf.gated", "flow.iaf.context_channels",
    ),
    f"{FLOWS}::test_planar_and_iaf_have_as_many_flows_and_start_as_the_identity": (
        "flow.planar.flows", "flow.iaf.flows",
    ),
    f"{FLOWS}::test_planar_needs_a_context": ("flow.planar.context_channels",),
    f"{MODEL}::test_a_leaky_relu_has_the_slope_that_is_asked_for": ("model.leaky_relu_slope",),
    "unit/plugins/blocks/test_nvae.py::test_a_residual_cell_is_its_equations": (
        "block.nvae.squeeze", "block.nvae.residual_scale",
    ),
    "unit/plugins/blocks/test_nvae.py::test_widths_and_kernels": (
        "block.nvae.expansion", "block.nvae.kernel_size", "block.nvae.squeeze",
    ),
    f"{REGULARIZERS}/test_augmentation.py::test_shifts_by_whole_pixels_are_padding": (
        "regularizer.cr-vae.border",
    ),
    "unit/core/model/test_hierarchy.py::test_shapes_and_latent_shapes": ("model.resolutions",),
    f"{MODEL}::test_the_stem_folds_patches_of_the_image_s_channels": (
        "model.patch_size", "model.image_channels",
    ),
    f"{MODEL}::test_pixels_are_standardised_as_asked_for": (
        "model.input_mean", "model.input_scale",
    ),
    f"{MODEL}::test_widths_are_those_of_each_scale": (
        "model.width", "model.encoder_middle_width", "model.decoder_middle_width",
        "model.latent_width",
    ),
    f"{MODEL}::test_there_are_as_many_blocks_as_asked_for_and_any_scale_may_have_none": (
        "model.encoder_blocks", "model.decoder_blocks",
    ),
    f"{MODEL}::test_a_pooling_block_belongs_to_the_way_down": ("model.pooling_block",),
    f"{MODEL}::test_the_coarser_stream_enters_before_the_mixing_block": ("model.mixing_block",),
    f"{MODEL}::test_another_block_is_used_everywhere": ("model.block",),
    f"{MODEL}::test_activations": ("model.block_activation", "model.pool_activation"),
    f"{MODEL}::test_channels_change_by_a_projection_or_by_padding": ("model.channel_change",),
    f"{MODEL}::test_group_norm_has_eight_groups_in_every_block": (
        "model.norm", "block.bottleneck.norm",
    ),
    f"{MODEL}::test_depthwise_convolutions_are_in_encoder_decoder_and_readout": (
        "model.conv", "block.bottleneck.conv",
    ),
    f"{MODEL}::test_large_kernels_reach_encoder_and_decoder": ("model.large_kernels",),
    f"{MODEL}::test_large_kernels_are_in_stem_and_last_convolution_or_in_blocks_alone": (
        "model.large_kernels",
    ),
    f"{MODEL}::test_the_way_down_pools_before_or_after_the_activation": ("model.pool_order",),
    f"{MODEL}::test_the_readout_s_last_convolution_reads_the_blocks_or_their_activation": (
        "model.readout.last_activation",
    ),
    f"{MODEL}::test_bilinear_upsampling_is_direct_or_in_steps": ("model.readout.upsampling",),
    f"{STEP}::test_free_bits_count_in_the_loss_and_not_in_the_reported_rate": ("train.free_bits",),
    "unit/core/training/test_balancing.py::test_the_weights_are_the_original_s": (
        "train.kl_balancing_scaled",
    ),
    f"{MODEL}::test_streams_start_from_learned_biases": ("model.top", "model.no_bias_above"),
    f"{MODEL}::test_the_standard_deviation_of_a_channel": (
        "model.standard_deviation", "model.softplus_beta",
    ),
    f"{MODEL}::test_the_readout_s_blocks_and_widths": (
        "model.readout.kind", "model.readout.blocks", "model.readout.width",
        "model.readout.middle_width",
    ),
    f"{MODEL}::test_latents_are_upsampled_by_repetition_or_bilinearly": (
        "model.readout.upsampling",
    ),
    "unit/core/model/test_flows_in_hierarchy.py::test_flows_are_where_they_are_asked_for": (
        "model.flow", "flow.sylvester.flows",
    ),
    "unit/core/model/test_attention_in_hierarchy.py::"
    "test_gates_move_and_gradients_reach_all_queries_and_keys": ("model.attention",),
    f"{DAVI}::test_queries_and_keys_are_as_wide_and_many_as_asked_for": (
        "attention.davi.query_width", "attention.davi.queries",
    ),
    "unit/core/backends/test_rematerialisation.py::test_fewer_tensors_are_kept": ("train.remat",),
    "unit/core/model/test_hierarchy.py::test_same_seed_same_weights_other_seed_other_weights": (
        "train.seed",
    ),
    f"{BATCHES}::test_an_epoch_of_training_has_no_image_twice_and_drops_the_partial_batch": (
        "train.batch_size",
    ),
    f"{STEP}::test_accumulated_micro_batches_equal_the_whole_batch": ("train.accumulate",),
    f"{SCHEDULES}::test_total_steps_come_from_epochs_or_steps": ("train.epochs", "train.steps"),
    f"{RUN}::test_a_run_of_so_many_minutes_ends_in_time_and_its_schedule_with_it": (
        "train.minutes",
    ),
    f"{LOOP}::test_a_run_leaves_what_it_promises": (
        "data", "train.validation_fraction", "train.validation_images", "train.log_steps",
    ),
    f"{RUN}::test_early_stopping_goes_by_the_validation_bound": ("train.patience",),
    f"{PARTIAL}::test_a_run_shows_measurements_to_the_encoder_and_starts_from_weights": (
        "measurement", "train.objective",
    ),
    f"{FREEZING}::test_frozen_weights_and_their_averages_are_bit_identical": ("train.freeze",),
    f"{FREEZING}::test_a_group_has_a_learning_rate_and_a_weight_decay": (
        "train.parameter_groups",
    ),
    f"{OPTIMIZER}::test_sgd_with_momentum": ("train.optimizer",),
    f"{OPTIMIZER}::test_adamax_against_the_published_rule": (
        "train.optimizer", "train.beta_1", "train.beta_2", "train.epsilon",
    ),
    f"{OPTIMIZER}::test_adamw_against_the_published_rule": ("train.optimizer", "train.epsilon"),
    f"{SCHEDULES}::test_the_decay_follows_its_closed_form_and_ends_at_the_final_rate": (
        "train.learning_rate", "train.final_learning_rate", "train.schedule", "train.restarts",
    ),
    f"{SCHEDULES}::test_every_schedule_warms_up_from_zero": ("train.schedule",),
    f"{SCHEDULES}::test_warmup_steps": ("train.warmup_steps", "train.warmup_epochs"),
    f"{OPTIMIZER}::test_weight_decay_leaves_biases_out": ("train.weight_decay",),
    f"{OPTIMIZER}::test_kernels_alone_are_decayed": ("train.weight_decay",),
    f"{OPTIMIZER}::test_decay_all_weights_decays_biases_too": ("train.decay_all_weights",),
    f"{OPTIMIZER}::test_average_is_the_recursion_from_the_initial_weights": ("train.ema_decay",),
    f"{OPTIMIZER}::test_the_average_s_decay_warms_up_with_the_updates_that_were_made": (
        "train.ema_warmup",
    ),
    f"{OPTIMIZER}::test_a_skipped_update_changes_nothing_at_all": (
        "train.ema_decay", "train.skip_norm",
    ),
    f"{OPTIMIZER}::test_sgd_clips_to_the_norm_and_reports_the_norm_before": ("train.clip_norm",),
    f"{OPTIMIZER}::test_skipping_starts_at_its_step_but_non_finite_is_always_skipped": (
        "train.skip_start_step",
    ),
    f"{RUN}::test_training_stops_after_so_many_skipped_updates_and_is_kept": (
        "train.max_skipped_steps",
    ),
    f"{RUN}::test_training_stops_after_so_many_nonfinite_updates": ("train.max_nonfinite_steps",),
    f"{STEP}::test_beta_weights_the_rate": ("train.beta",),
    f"{SCHEDULES}::test_beta": (
        "train.beta", "train.beta_warmup", "train.beta_warmup_epochs", "train.beta_cycles",
        "train.beta_cycles_share_warmup", "train.beta_warmup_start", "train.beta_minimum",
    ),
    f"{SCHEDULES}::test_skipping_starts_after_two_epochs_unless_said_otherwise": (
        "train.skip_start_step", "train.skip_start_epoch",
    ),
    f"{STEP}::test_kl_balancing_changes_the_gradient_then_stops_and_not_the_reported_rate": (
        "train.kl_balancing_steps",
    ),
    f"{STEP}::test_bfloat16_trains_and_keeps_float32_weights": ("train.precision",),
    f"{MODEL}::test_densities_are_float32_in_a_network_of_bfloat16": ("train.precision",),
    f"{STEP}::test_compiled_equals_eager": ("train.compile",),
    "unit/core/backends/test_devices.py::test_two_devices_and_two_processes_train_like_one": (
        "train.devices",
    ),
    f"{LOOP}::test_a_killed_run_resumes_to_the_numbers_of_an_unbroken_one": (
        "train.checkpoint_steps",
    ),
    f"{RUN}::test_intervals_of_checkpoints_and_validation": (
        "train.checkpoint_minutes", "train.keep_checkpoints", "train.evaluate_epochs",
    ),
    f"{LOOP}::test_sample_grids_are_drawn_every_so_many_epochs_and_at_the_end": (
        "train.sample_epochs",
    ),
    f"{LOOP}::test_the_default_callbacks_follow_the_options": ("train.tensorboard",),
    f"{KINDS}::test_a_run_with_all_of_them": ("train.trackers",),
    f"{LOOP}::test_the_report_may_be_left_out": ("train.report",),
    f"{OPTIMIZERS}::test_muon_makes_the_steps_of_kernels_orthogonal_and_leaves_the_rest_to_adam": (
        "optimizer.muon.rms_rate",
    ),
    f"{OPTIMIZERS}::test_muon_s_excluded_layers_are_adam_s": ("optimizer.muon.exclude_layers",),
    f"{OPTIMIZERS}::test_an_option_changes_the_updates": (
        "optimizer.adam.amsgrad", "optimizer.adamw.amsgrad", "optimizer.sgd.nesterov",
        "optimizer.rmsprop.rho", "optimizer.rmsprop.momentum", "optimizer.rmsprop.centered",
        "optimizer.adafactor.beta_2_decay", "optimizer.adafactor.epsilon_1",
        "optimizer.adafactor.epsilon_2", "optimizer.adafactor.clip_threshold",
        "optimizer.adagrad.initial_accumulator_value",
        "optimizer.adadelta.rho", "optimizer.ftrl.learning_rate_power",
        "optimizer.ftrl.initial_accumulator_value", "optimizer.ftrl.l1_regularization_strength",
        "optimizer.ftrl.l2_regularization_strength",
        "optimizer.ftrl.l2_shrinkage_regularization_strength", "optimizer.ftrl.beta",
        "optimizer.muon.muon_a", "optimizer.muon.muon_b", "optimizer.muon.muon_c",
        "optimizer.muon.adam_lr_ratio", "optimizer.muon.momentum", "optimizer.muon.ns_steps",
        "optimizer.muon.nesterov", "optimizer.muon.rms_rate",
    ),
    f"{CURVES}::test_the_curve_follows_its_closed_form": (
        "schedule.inverse-sqrt.timescale", "schedule.warmup-stable-decay.decay",
        "schedule.warmup-stable-decay.decay_fraction",
    ),
    f"{TRACKED}::test_wandb_offline": ("tracker.wandb.project", "tracker.wandb.tags"),
    f"{TRACKED}::test_wandb_is_offline_where_the_network_is_forbidden": (
        "tracker.wandb.mode", "tracker.wandb.entity", "tracker.wandb.group",
    ),
    f"{TRACKED}::test_mlflow_in_a_database_of_the_run_folder": (
        "tracker.mlflow.experiment", "tracker.mlflow.tags",
    ),
    f"{TRACKED}::test_mlflow_goes_where_it_is_told": ("tracker.mlflow.tracking_uri",),
    f"{SETS}/test_cifar10.py::test_parquet": ("dataset.cifar10.root",),
    f"{SETS}/test_cifar10.py::test_flips_in_training_only": ("dataset.cifar10.flip",),
    f"{SETS}/test_downloads.py::test_mnist_is_downloaded_once": ("dataset.mnist.url",),
    f"{SETS}/test_downloads.py::test_a_mirror_without_the_file": ("dataset.cifar10.url",),
    f"{SETS}/test_digits.py::test_dynamic_binarization_can_be_repeated": (
        "dataset.digits.binarization",
    ),
    f"{SETS}/test_image_sets.py::test_split_folders": (
        "dataset.image-folder.root", "dataset.image-folder.size",
    ),
    f"{SETS}/test_image_sets.py::test_crop_grey_and_flip": (
        "dataset.image-folder.crop", "dataset.image-folder.channels", "dataset.image-folder.flip",
    ),
    f"{SETS}/test_image_sets.py::test_native_values_and_backgrounds_of_files": tuple(
        f"dataset.{name}.{option}"
        for name in ("image-folder", "parquet")
        for option in ("values", "background", "reduce_bits")
    ),
    f"{SETS}/test_hugging_face.py::test_native_values_and_backgrounds": (
        "dataset.hub.values", "dataset.hub.background", "dataset.hub.reduce_bits",
    ),
    f"{SETS}/test_image_sets.py::test_hold_out": (
        "dataset.image-folder.test_fraction", "dataset.image-folder.split_seed",
    ),
    f"{FEEDING}::test_a_run_whose_folder_changed_is_refused_or_goes_on_without_a_leak": (
        "dataset.image-folder.split_by",
    ),
    f"{SETS}/test_image_sets.py::test_images_of_parquet_files_are_known_by_their_content": (
        "dataset.parquet.split_by",
    ),
    f"{SETS}/test_hugging_face.py::test_images_are_known_by_their_content": (
        "dataset.hub.split_by",
    ),
    f"{SETS}/test_image_sets.py::test_parquet_files_without_test_images_hold_some_out": (
        "dataset.parquet.test_fraction", "dataset.parquet.split_seed",
    ),
    f"{SETS}/test_hugging_face.py::test_a_repository_without_a_test_split_holds_some_out": (
        "dataset.hub.test_fraction", "dataset.hub.split_seed",
    ),
    f"{SETS}/test_image_sets.py::test_unreadable_image": ("dataset.image-folder.skip_unreadable",),
    f"{SETS}/test_image_sets.py::"
    "test_unreadable_images_of_parquet_files_are_left_out_and_told": (
        "dataset.parquet.skip_unreadable",
    ),
    f"{SETS}/test_hugging_face.py::test_unreadable_images_are_left_out_and_told": (
        "dataset.hub.skip_unreadable",
    ),
    f"{SETS}/test_image_sets.py::test_parquet_set": (
        "dataset.parquet.root", "dataset.parquet.size", "dataset.parquet.channels",
    ),
    f"{SETS}/test_image_sets.py::test_parquet_column_crop_and_flip": (
        "dataset.parquet.column", "dataset.parquet.crop", "dataset.parquet.flip",
    ),
    "unit/core/data/test_given.py::test_the_configuration_says_what_the_images_are": (
        "dataset.python.type", "dataset.python.shape", "dataset.python.images",
        "dataset.python.digest",
    ),
    f"{SETS}/test_array_files.py::test_files_of_splits": (
        "dataset.arrays.files", "dataset.arrays.root",
    ),
    f"{SETS}/test_array_files.py::test_test_images_are_held_out_where_there_is_no_file_of_them": (
        "dataset.arrays.test_fraction", "dataset.arrays.split_seed", "dataset.arrays.split_by",
    ),
    f"{SETS}/test_array_files.py::test_arrays_of_an_npz_file": ("dataset.arrays.key",),
    f"{SETS}/test_array_files.py::test_channels_first": ("dataset.arrays.channels",),
    f"{SETS}/test_array_files.py::test_flips_and_binarizations": (
        "dataset.arrays.flip", "dataset.arrays.binarization",
    ),
    f"{SETS}/test_hugging_face.py::test_a_repository_s_splits_are_decoded_once": (
        "dataset.hub.repository", "dataset.hub.streaming",
    ),
    f"{SETS}/test_hugging_face.py::test_a_configuration_and_its_column": (
        "dataset.hub.config", "dataset.hub.column",
    ),
    f"{SETS}/test_hugging_face.py::test_a_revision_is_asked_for": ("dataset.hub.revision",),
    f"{SETS}/test_hugging_face.py::test_splits_of_one_s_own": ("dataset.hub.splits",),
    f"{SETS}/test_hugging_face.py::test_sizes_grey_flips_and_binarization": (
        "dataset.hub.size", "dataset.hub.crop", "dataset.hub.channels", "dataset.hub.flip",
        "dataset.hub.binarization",
    ),
    f"{SETS}/test_python_images.py::test_flips_in_training_only": ("dataset.python.flip",),
    f"{SETS}/test_python_images.py::test_binarizations": ("dataset.python.binarization",),
    f"{SETS}/test_imagenet.py::test_npz": ("dataset.imagenet32.root", "dataset.imagenet64.root"),
    f"{SETS}/test_imagenet.py::test_the_other_version": (
        "dataset.imagenet32.version", "dataset.imagenet64.version",
    ),
    f"{SETS}/test_imagenet.py::test_flips_when_asked_for": (
        "dataset.imagenet32.flip", "dataset.imagenet64.flip",
    ),
    f"{SETS}/test_mnist.py::test_padding_and_grey": ("dataset.mnist.root", "dataset.mnist.padding"),
    f"{SETS}/test_mnist.py::test_binarizations": ("dataset.mnist.binarization",),
    f"{SETS}/test_mnist.py::test_near_exact_only_when_asked_for": ("dataset.mnist.near_exact",),
    f"{FLOWS}::test_sylvester_s_parameters": (
        "flow.sylvester.variant", "flow.sylvester.orthogonal_vectors",
        "flow.sylvester.reflections", "flow.sylvester.context_channels",
    ),
    f"{FLOWS}::test_sylvester_s_orthogonalization": (
        "flow.sylvester.orthogonalization", "flow.sylvester.bjorck_iterations",
    ),
    f"{FLOWS}::test_sylvester_s_diagonals_are_bounded": ("flow.sylvester.diagonal_bound",),
    f"{FLOWS}::test_conv_sylvester_s_networks": (
        "flow.conv-sylvester.channels", "flow.conv-sylvester.repeats",
        "flow.conv-sylvester.reflections", "flow.conv-sylvester.context_channels",
    ),
    f"{FLOWS}::test_conv_sylvester_s_levels_fold_space_and_split_channels": (
        "flow.conv-sylvester.levels", "flow.conv-sylvester.split_first",
    ),
    f"{FLOWS}::test_conv_sylvester_s_kernels_are_bounded_or_not": (
        "flow.conv-sylvester.spectral_norm",
    ),
    f"{FLOWS}::test_conv_sylvester_s_series_has_its_terms": ("flow.conv-sylvester.terms",),
    "contract/test_likelihoods.py::TestBernoulliOfProbabilities": ("likelihood.bernoulli.targets",),
    "unit/core/prob/test_logistic_mixture.py::test_mass_over_all_values_is_one": (
        "likelihood.logistic-mixture.levels",
    ),
    "unit/core/prob/test_logistic_mixture.py::test_against_the_original": (
        "likelihood.logistic-mixture.convention",
    ),
    "unit/core/test_native_values.py::test_values_are_written_as_they_were_declared": (
        "dataset.python.values",
    ),
    f"{SETS}/test_array_files.py::test_native_values_are_read_as_they_are": (
        "dataset.arrays.values",
    ),
    f"{DENSITIES}::test_efficient_vdvae_s_convention_of_few_levels": (
        "likelihood.logistic-mixture.convention", "likelihood.logistic-mixture.log_scale_factor",
    ),
    f"{DENSITIES}::test_a_margin_is_no_part_of_the_image": ("likelihood.bernoulli.margin",),
    f"{LEVELS}::test_scales_of_one_size_are_told_apart_and_nothing_is_between_them": (
        "model.resolutions", "model.decoder_width",
    ),
    f"{LEVELS}::test_features_of_each_scale_are_projected_to_the_width_of_the_way_down": (
        "model.skip_projections", "model.decoder_width",
    ),
    f"{LEVELS}::test_bottlenecks_have_as_many_convolutions_as_large_as_asked_for": (
        "model.encoder_middle_layers", "model.decoder_middle_layers", "model.encoder_kernel_size",
        "model.decoder_kernel_size", "model.stem_kernel_size", "model.readout.kernel_size",
        "model.readout.gain",
    ),
    f"{LEVELS}::test_residual_blocks_after_a_latent": ("model.residual_blocks",),
    f"{LEVELS}::test_latents_have_heads_of_their_own": ("model.latent_heads",),
    f"{LEVELS}::test_a_block_s_outer_convolutions_may_be_as_large_as_its_inner_ones": (
        "block.bottleneck.pointwise",
    ),
    f"{LEVELS}::test_pooling_is_a_convolution_with_its_kernel_as_its_stride": ("model.pooling",),
    f"{LEVELS}::test_a_relative_posterior_that_says_nothing_is_the_prior": (
        "model.relative_posterior",
    ),
    f"{LEVELS}::test_the_network_sees_so_many_levels": ("model.input_levels",),
    "unit/plugins/importers/test_efficient_vdvae.py::"
    "test_training_follows_the_original_s_schedules": (
        "schedule.cosine.decay_start", "schedule.cosine.decay_steps", "train.beta_warmup_start",
        "train.beta_minimum",
    ),
    "unit/plugins/importers/test_efficient_vdvae.py::test_the_command_writes_a_preset": (
        "import.efficient-vdvae.weights",
    ),
    f"{DENSITIES}::test_smoothing_floor_and_coupling_of_the_mixture": (
        "likelihood.logistic-mixture.smoothing_beta",
        "likelihood.logistic-mixture.log_scale_factor",
        "likelihood.logistic-mixture.gradient_smoothing",
        "likelihood.logistic-mixture.log_scale_floor", "likelihood.logistic-mixture.coupling",
    ),
    f"{MEASURED}::test_columns_are_so_many_lines": tuple(
        f"measurement.columns.{option}"
        for option in ("known", "least", "order", "lines", "direction")
    ),
    f"{MEASURED}::test_unknown_pixels_hold_what_is_asked_for": (
        "measurement.columns.fill", "measurement.mask.fill",
    ),
    f"{MEASURED}::test_masks_are_pixels_boxes_or_strokes": tuple(
        f"measurement.mask.{option}" for option in ("shape", "known", "size", "brush")
    ),
    f"{MEASURED}::test_downsampling_gives_means": ("measurement.downsample.factor",),
    f"{MEASURED}::test_blur_is_a_gaussian": ("measurement.blur.sigma",),
    f"{MEASURED}::test_noise_has_its_moments": tuple(
        f"measurement.noise.{option}" for option in ("std", "distribution", "peak")
    ),
    f"{MEASURED}::test_a_sequence_leaves_what_is_unknown_alone": (
        "measurement.sequence.measurements",
    ),
    f"{DENSITIES}::test_where_the_scale_comes_from": tuple(
        f"likelihood.{name}.{option}" for name in LOCATION_SCALE
        for option in ("scale", "fixed_scale")
    ),
    f"{DENSITIES}::test_smoothing_and_floor_of_the_scale": tuple(
        f"likelihood.{name}.{option}" for name in LOCATION_SCALE
        for option in ("gradient_smoothing", "log_scale_floor")
    ),
    f"{DENSITIES}::test_densities_of_floating_point_values": (
        "likelihood.student-t.degrees_of_freedom",
    ),
    f"{DENSITIES}::test_levels_beyond_those_of_the_images_are_refused": (
        "likelihood.discretized-gaussian.levels",
    ),
    f"{DENSITIES}::test_the_noise_model_is_gaussian_with_a_variance_of_the_signal": (
        "likelihood.noise-model.black_level",
    ),
    f"{DENSITIES}::test_gain_and_offset_are_learned_where_they_are_not_given": (
        "likelihood.noise-model.gain", "likelihood.noise-model.offset",
        "likelihood.noise-model.least_deviation",
    ),
}  # fmt: skip


def options():
    """Every option by its path; a component's as kind.name.option."""
    yield from _fields(Config, "")
    for entry in manager().entries():
        if entry.kind != "preset" and entry.distribution == "hvae":
            spec = manager().get(entry.kind, f"hvae:{entry.name}")
            yield from (
                f"{spec.kind}.{spec.name}.{row['name']}" for row in option_rows(spec.config)
            )


def _fields(model, prefix):
    for name, field in model.model_fields.items():
        if hasattr(field.annotation, "model_fields"):
            yield from _fields(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_option_has_a_test_of_its_effect():
    tested = {option for names in TESTED.values() for option in names}
    assert tested == set(options())


@pytest.mark.parametrize("test", TESTED)
def test_the_test_is_there(test):
    path, _, name = test.partition("::")
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert name in defined
